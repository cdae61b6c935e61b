// Written for caffeflow, BSD-2-Clause: who makes a convolution by groups.
#include "gtest/gtest.h"

#include "caffe/common.hpp"
#include "caffe/conv_factory.hpp"
#include "caffe/layer_factory.hpp"
#include "caffe/layers/conv_layer.hpp"

#include "caffe/test/test_caffe_main.hpp"

#ifdef USE_CUDNN
#include "caffe/layers/cudnn_conv_layer.hpp"
#if CUDNN_VERSION_MIN(7, 0, 0)
#define HAS_GROUPED_CUDNN
#endif
#endif

namespace caffe {

template <typename TypeParam>
class ConvolutionFactoryTest : public MultiDeviceTest<TypeParam> {
  typedef typename TypeParam::Dtype Dtype;

 protected:
  void Make(int group, int num_output, ConvolutionParameter_Engine engine) {
    LayerParameter param;
    param.set_type("Convolution");
    param.mutable_convolution_param()->set_group(group);
    param.mutable_convolution_param()->set_num_output(num_output);
    param.mutable_convolution_param()->set_engine(engine);
    layer_ = LayerRegistry<Dtype>::CreateLayer(param);
  }

  template <typename Class>
  bool Is() const {
    return dynamic_cast<Class*>(layer_.get()) != NULL;
  }

  bool IsDepthwise() const { return Is<DepthwiseConvolutionLayer<Dtype> >(); }

  bool IsGroupedCuDNN() const {
#ifdef HAS_GROUPED_CUDNN
    return Is<CuDNNGroupedConvolutionLayer<Dtype> >();
#else
    return false;
#endif
  }

  // What the tree makes by itself.
  bool IsStock() const {
#ifdef USE_CUDNN
    if (Is<CuDNNConvolutionLayer<Dtype> >()) { return true; }
#endif
    return Is<ConvolutionLayer<Dtype> >() && !IsDepthwise()
        && !IsGroupedCuDNN();
  }

  shared_ptr<Layer<Dtype> > layer_;
};

TYPED_TEST_CASE(ConvolutionFactoryTest, TestDtypesAndDevices);

TYPED_TEST(ConvolutionFactoryTest, TestOneGroupIsStock) {
  this->Make(1, 1, ConvolutionParameter_Engine_DEFAULT);
  EXPECT_TRUE(this->IsStock());
  this->Make(1, 5, ConvolutionParameter_Engine_CAFFE);
  EXPECT_TRUE(this->IsStock());
}

TYPED_TEST(ConvolutionFactoryTest, TestEngineCaffeIsDepthwise) {
  this->Make(3, 3, ConvolutionParameter_Engine_CAFFE);
  EXPECT_TRUE(this->IsDepthwise());
  this->Make(3, 6, ConvolutionParameter_Engine_CAFFE);
  EXPECT_TRUE(this->IsDepthwise());
}

TYPED_TEST(ConvolutionFactoryTest, TestDefaultWithOneOutputAGroup) {
  this->Make(3, 3, ConvolutionParameter_Engine_DEFAULT);
  EXPECT_TRUE(this->IsDepthwise());
}

#ifdef HAS_GROUPED_CUDNN

TYPED_TEST(ConvolutionFactoryTest, TestDefaultWithMoreOutputsIsCuDNN) {
  this->Make(3, 6, ConvolutionParameter_Engine_DEFAULT);
  EXPECT_TRUE(this->IsGroupedCuDNN());
}

TYPED_TEST(ConvolutionFactoryTest, TestEngineCuDNNIsCuDNN) {
  this->Make(3, 3, ConvolutionParameter_Engine_CUDNN);
  EXPECT_TRUE(this->IsGroupedCuDNN());
  this->Make(3, 6, ConvolutionParameter_Engine_CUDNN);
  EXPECT_TRUE(this->IsGroupedCuDNN());
}

#else

TYPED_TEST(ConvolutionFactoryTest, TestDefaultWithMoreOutputsIsStock) {
  this->Make(3, 6, ConvolutionParameter_Engine_DEFAULT);
  EXPECT_TRUE(this->IsStock());
}

#endif

}  // namespace caffe
